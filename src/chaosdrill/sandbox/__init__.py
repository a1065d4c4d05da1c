"""A small real system on loopback, so that nobody needs a cluster to begin.

    load -> balancer -> checkout-api x2 -> balancer -> payment-api x3 -> delay-proxy -> database

Every box is a process of its own (`python -m chaosdrill.sandbox.<role>`), started and watched by a detached
supervisor. `client` is the door for everybody else; `parts` is what the processes are made of, `defences`
what keeps them up. Nothing in this room knows what an experiment, a run or a verdict is.
"""
