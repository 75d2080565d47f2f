"""Raw camera data: the HDF5 files (format 2.6 of the ICD, or 3.0), the spool they are made from, and images out of them."""

from egse.fee.geometry import frame_layout
from egse.h5.convert import ConversionError, convert_file
from egse.h5.images import SideImage, read_images, sides_in_frame
from egse.h5.index import RawFileIndex
from egse.h5.names import (
    DATA_ATTRIBUTES,
    FORMAT_VERSION,
    FORMAT_VERSIONS,
    MNEMONIC,
    PACKED_VERSION,
    daily_path,
    file_name,
    highest_number,
    parse_file_name,
    parse_format,
)
from egse.h5.packed import format_version, is_packed
from egse.h5.project import CycleFacts, SpoolProjector, project_spool, recover_spools
from egse.h5.reader import (
    frame_numbers,
    get_attribute_value,
    get_attributes,
    get_data,
    get_file,
    get_obsid,
    get_timestamp,
    packet_count,
    packet_gaps,
    packet_headers,
    packet_heads,
    packet_verdicts,
    packets,
    show_attributes,
    show_file,
    show_groups,
)
from egse.h5.spool import Kind, Record, SpoolError, SpoolReader, SpoolWriter
from egse.h5.writer import CycleWriter, FrameWriter

__all__ = [
    "DATA_ATTRIBUTES",
    "FORMAT_VERSION",
    "FORMAT_VERSIONS",
    "MNEMONIC",
    "PACKED_VERSION",
    "ConversionError",
    "CycleFacts",
    "CycleWriter",
    "FrameWriter",
    "Kind",
    "RawFileIndex",
    "Record",
    "SideImage",
    "SpoolError",
    "SpoolProjector",
    "SpoolReader",
    "SpoolWriter",
    "convert_file",
    "daily_path",
    "file_name",
    "format_version",
    "frame_layout",
    "frame_numbers",
    "get_attribute_value",
    "get_attributes",
    "get_data",
    "get_file",
    "get_obsid",
    "get_timestamp",
    "highest_number",
    "is_packed",
    "packet_count",
    "packet_gaps",
    "packet_headers",
    "packet_heads",
    "packet_verdicts",
    "packets",
    "parse_file_name",
    "parse_format",
    "project_spool",
    "read_images",
    "recover_spools",
    "show_attributes",
    "show_file",
    "show_groups",
    "sides_in_frame",
]
