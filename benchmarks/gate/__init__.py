"""How noisy the measures of the gate are, and how often it cries wolf or misses one."""
