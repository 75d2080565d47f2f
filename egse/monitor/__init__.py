"""Monitoring: limits, alarms, and the process that watches them (`mon_cs`).

with LimitMonitorProxy() as monitor:
    monitor.get_alarms()
    monitor.acknowledge("GCSL1_LSCI336_TEMPA", comment="heater is being tested")
"""

from egse.monitor.alarms import Alarm, AlarmBook, AlarmError, AlarmEvent, Condition
from egse.monitor.interface import LimitMonitorInterface, LimitMonitorProxy
from egse.monitor.journal import AlarmJournal, read_alarm_events

__all__ = [
    "Alarm",
    "AlarmBook",
    "AlarmError",
    "AlarmEvent",
    "AlarmJournal",
    "Condition",
    "LimitMonitorInterface",
    "LimitMonitorProxy",
    "read_alarm_events",
]
