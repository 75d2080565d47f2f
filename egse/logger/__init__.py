"""Logging of all processes to the log manager; only what every process needs (the server is `egse.logger.log_cs`)."""

from egse.logger.handler import ZeroMQHandler, close_all_zmq_handlers, set_context_source, setup_logging
from egse.logger.records import LogContext

__all__ = ["LogContext", "ZeroMQHandler", "close_all_zmq_handlers", "set_context_source", "setup_logging"]
