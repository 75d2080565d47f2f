from gui_executor.utils import copy_func
from oldstyle.lamp import get_radec

get_radec = copy_func(get_radec, "Copies")
