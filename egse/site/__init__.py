"""Sites: where a site keeps its things, the sandbox (a private site with simulators), several sites on one machine."""
