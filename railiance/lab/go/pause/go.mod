module railiance.lab/pause

go 1.24
