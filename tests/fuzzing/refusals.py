"""Exceptions with which the callers of a parser deal."""

import struct

from sampan.cli.failures import Exit
from sampan.errors import SampanError
from sampan.network.dns import BadMessage
from sampan.runtime.messages import ProtocolError
from sampan.runtime.steps import StepFailed
from sampan.templates.lexer import TemplateError

REQUEST: tuple[type[BaseException], ...] = (SampanError, ProtocolError)
WEBSOCKET = REQUEST
CLIENT: tuple[type[BaseException], ...] = (SampanError,)
COMMAND: tuple[type[BaseException], ...] = (Exit,)
CONFIGURATION: tuple[type[BaseException], ...] = (SampanError,)
TEMPLATE: tuple[type[BaseException], ...] = (TemplateError,)
STEP: tuple[type[BaseException], ...] = (StepFailed,)
DETACH_KEYS: tuple[type[BaseException], ...] = (ValueError,)
BINARY: tuple[type[BaseException], ...] = (BadMessage, struct.error, IndexError, UnicodeDecodeError)
LOGS: tuple[type[BaseException], ...] = ()
"""A log's reader leaves out what is no record, and never fails."""
