"""Five lines from evidence: pure, so that an old record can be judged again."""
