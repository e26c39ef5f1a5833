package main

import "context"

// table is one of the tables of the README.
type table struct {
	name     string                                // of its place in the README
	prepare  func(context.Context) error           // before the first measurement; or nil
	describe func(context.Context) (string, error) // what the table's heading says besides the machine; or nil

	sides        []side
	ours         int // the first sides, which must be without faults
	ratios       []ratioColumn
	aims         string // heading of the last column
	measurements []measurement
}

// side is one of the servers that are measured in turns: a column of the table.
type side struct {
	name    string
	measure func(context.Context, measurement) (map[string]any, error) // starts the server, loads and stops it
}

// ratioColumn has the ratios of one side to another.
type ratioColumn struct {
	heading      string
	ours, theirs int
}

// measurement is one run of the load generator and the figures of its output that go into the table.
type measurement struct {
	name    string
	args    []string
	figures []figure
	faults  []string // fields that must be 0
}

// figure is one row of the table: a number of the load generator's output, given by its path.
type figure struct {
	label, path string
	scale       float64 // factor for display
	digits      int
	aim         string // of the ratio to Bun or the number, or what theory says; "" for figures given for information
}
