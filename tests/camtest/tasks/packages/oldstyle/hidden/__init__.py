def UI_TAB_HIDE():
    return True
