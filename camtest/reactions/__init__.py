"""Automatic reactions to alarms: the table in the Setup, and the process `fdir_cs` that carries it out."""
