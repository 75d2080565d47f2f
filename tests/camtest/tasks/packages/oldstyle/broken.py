from gui_executor.exec import exec_ui

import a_module_that_nobody_has


@exec_ui()
def never():
    pass
