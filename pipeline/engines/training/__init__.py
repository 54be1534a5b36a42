"""How is a policy trained? TRL's trainers with every field set: arguments, data, order, rounds, log, rollouts, processes."""

from pipeline.engines.policy.folder import quiet_libraries

quiet_libraries()  # before a module of this room imports datasets, transformers or TRL
