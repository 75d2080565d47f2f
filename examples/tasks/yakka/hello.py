from gui_executor.exec import exec_ui

UI_MODULE_DISPLAY_NAME = "Hello Tasks"


@exec_ui(immediate_run=True)
def hello_world():
    print("Hello, World!")


@exec_ui(display_name="Hello...")
def hello_you(name: str = "John"):
    print(f"Hello, {name}!")
