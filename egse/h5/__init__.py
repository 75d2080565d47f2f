"""Raw camera data: the HDF5 files of the ICD (format 2.6), the spool they are made from, and images out of them."""

from egse.h5.images import SideImage, frame_layout, read_images, sides_in_frame
from egse.h5.index import RawFileIndex
from egse.h5.names import (
    DATA_ATTRIBUTES,
    FORMAT_VERSION,
    MNEMONIC,
    daily_path,
    file_name,
    highest_number,
    parse_file_name,
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
    "DATA_ATTRIBUTES",
    "FORMAT_VERSION",
    "MNEMONIC",
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
    "daily_path",
    "file_name",
    "frame_layout",
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
    "project_spool",
    "read_images",
    "recover_spools",
    "show_attributes",
    "show_file",
    "show_groups",
    "sides_in_frame",
]
