from gui_executor.exec import StatusType, exec_recurring_task


@exec_recurring_task(status_type=StatusType.PERMANENT)
def show_setup():
    return "Setup ID = 67"


@exec_recurring_task(status_type=StatusType.NORMAL)
def fails():
    raise RuntimeError("no connection")
