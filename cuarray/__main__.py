"""``python -m cuarray`` prints what a bug report needs."""

from cuarray._config import show_config

show_config()
