"""The graph wing: few-shot learning on nodes and on whole graphs, with frozen graph towers."""
