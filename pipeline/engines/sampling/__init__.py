"""Drawing responses: the decode loop, vLLM, shards."""
