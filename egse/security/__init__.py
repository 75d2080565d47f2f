"""Who may talk to a control server, and what they may do there: CURVE keys, roles, the token of control.

- `egse.security.keys`: key files of servers and people, and which keys are authorised.
- `egse.security.curve`: encrypted and authenticated sockets.
- `egse.security.roles`: which commands only observe.
- `egse.security.token`: the control token that this process sends along with its commands.

The commanding authority itself is `egse.authority`. How to use all this: `docs/security.md`.
"""

from egse.security.curve import (
    Guard,
    HandshakeError,
    await_connection,
    is_connected,
    secure_client,
    watch_connection,
)
from egse.security.keys import KeyFolder, KeysError, keys_location
from egse.security.roles import (
    ANYBODY,
    Caller,
    Role,
    always_allowed,
    changes,
    current_caller,
    needs_control,
    observe,
    role_of,
)

__all__ = [
    "ANYBODY",
    "Caller",
    "Guard",
    "HandshakeError",
    "KeyFolder",
    "KeysError",
    "Role",
    "always_allowed",
    "await_connection",
    "changes",
    "current_caller",
    "is_connected",
    "keys_location",
    "needs_control",
    "observe",
    "role_of",
    "secure_client",
    "watch_connection",
]
