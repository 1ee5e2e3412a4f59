"""An HTTP/2 connection with the windows and limits that BuildKit's calls need.

Source: RFC 9113; BuildKit sends the patterns of an ignore file as headers, a megabyte of them where there are many.
"""

from __future__ import annotations

from typing import Any

import h2.config
import h2.connection
import h2.exceptions
import h2.frame_buffer
import h2.settings

_WINDOW = 1 << 24
_CONNECTION_WINDOW = 1 << 26
_LONGEST_HEADERS = 16 << 20


def connection(*, client_side: bool) -> h2.connection.H2Connection:
    """A connection that has begun; what it has to say is to be sent.

    Nothing is checked that the peer checks anyway: that costs more than all the rest.
    """
    made = h2.connection.H2Connection(
        h2.config.H2Configuration(
            client_side=client_side,
            header_encoding="utf-8",
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
    )
    made.incoming_buffer = _LongHeaders(server=not client_side)
    made.initiate_connection()
    made.decoder.max_header_list_size = _LONGEST_HEADERS  # at once, not when the other side has read our settings
    # Only what is updated after the beginning is sent.
    settings = h2.settings.SettingCodes
    made.update_settings({settings.INITIAL_WINDOW_SIZE: _WINDOW, settings.MAX_HEADER_LIST_SIZE: _LONGEST_HEADERS})
    made.increment_flow_control_window(_CONNECTION_WINDOW)
    return made


class _LongHeaders(h2.frame_buffer.FrameBuffer):
    """Takes headers up to a size; h2's own takes up to 64 frames, which from Go are 16 kB each."""

    def _update_header_buffer(self, f: Any) -> Any:
        whole = super()._update_header_buffer(f)
        if len(self._headers_buffer) > 1:
            first = self._headers_buffer[0]
            first.data = b"".join(frame.data for frame in self._headers_buffer)
            if len(first.data) > _LONGEST_HEADERS:
                raise h2.exceptions.ProtocolError("headers of more than 16 MiB")
            self._headers_buffer = [first]
        return whole
