module railiance.lab/agents

go 1.24
