raise AssertionError("a hidden tab is not imported")
