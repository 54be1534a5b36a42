"""How are responses sampled? One protocol, two engines (our decode loop, vLLM), and shards that a killed job resumes from."""
