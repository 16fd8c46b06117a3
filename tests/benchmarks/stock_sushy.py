"""Stock sushy-tools as a WSGI application for gunicorn; its settings come from the environment."""

from __future__ import annotations

import os

from sushy_tools.emulator.main import app

app.configure(config_file=os.environ["SUSHY_EMULATOR_CONFIG"])
