from PyQt5.QtWidgets import QCheckBox, QHBoxLayout

from gui_executor.exec import exec_ui
from gui_executor.utypes import TypeObject, UQWidget

UI_MODULE_DISPLAY_NAME = "2 - Qt"


class Channel(TypeObject):
    def __init__(self, name="channel"):
        super().__init__(name=name)

    def get_widget(self):
        return ChannelWidget()


class ChannelWidget(UQWidget):
    def __init__(self):
        super().__init__()
        self.box = QCheckBox("enabled")
        layout = QHBoxLayout()
        layout.addWidget(self.box)
        self.setLayout(layout)

    def get_value(self):
        return {"enabled": self.box.isChecked()}


@exec_ui()
def configure(config: Channel(name="SG") = None):
    return config


@exec_ui()
def plain(number: int = 3):
    return number + 1
