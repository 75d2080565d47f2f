"""Raw camera data: the HDF5 files of the ICD (format 2.6), the spool they are made from, and images out of them."""

from egse.h5.images import CCD_BIN_TO_ID, Headers, SideImage, decode_headers, read_images, sides_in_frame
from egse.h5.index import RawFileIndex
from egse.h5.names import (
    DATA_ATTRIBUTES,
    FORMAT_VERSION,
    MNEMONIC,
    daily_path,
    file_name,
    format_utc,
    highest_number,
    parse_file_name,
    parse_utc,
)
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
    packets,
    show_attributes,
    show_file,
    show_groups,
)
from egse.h5.spool import Kind, Record, SpoolError, SpoolReader, SpoolWriter
from egse.h5.writer import CycleWriter, FrameWriter

__all__ = [
    "CCD_BIN_TO_ID",
    "DATA_ATTRIBUTES",
    "FORMAT_VERSION",
    "MNEMONIC",
    "CycleFacts",
    "CycleWriter",
    "FrameWriter",
    "Headers",
    "Kind",
    "RawFileIndex",
    "Record",
    "SideImage",
    "SpoolError",
    "SpoolProjector",
    "SpoolReader",
    "SpoolWriter",
    "daily_path",
    "decode_headers",
    "file_name",
    "format_utc",
    "frame_numbers",
    "get_attribute_value",
    "get_attributes",
    "get_data",
    "get_file",
    "get_obsid",
    "get_timestamp",
    "highest_number",
    "packet_count",
    "packets",
    "parse_file_name",
    "parse_utc",
    "project_spool",
    "read_images",
    "recover_spools",
    "show_attributes",
    "show_file",
    "show_groups",
    "sides_in_frame",
]
