"""Who reads the waveform feeds and samples them: this process, or one of their own."""
