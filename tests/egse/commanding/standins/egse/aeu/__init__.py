"""Stand-in for the AEU test EGSE of section 6.1.1: six power supplies, a control server each."""
