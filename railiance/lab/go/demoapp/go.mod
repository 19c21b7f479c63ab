module railiance.lab/demoapp

go 1.24
