package main

import (
	_ "snap/collect/aws" // its files declare the syncs
	"snap/collect/aws/api"
	"snap/store/kind"
)

// registry is what every command knows the tables and the graph by.
func registry() *kind.Registry { return &api.Registry }
