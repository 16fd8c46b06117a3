"""Builds the compiled sampling core; everything else is in pyproject.toml."""

from setuptools import setup

setup(
    cffi_modules=["csrc/build_core.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
