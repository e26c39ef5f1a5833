package models

// leaseSteps create the table of roles that one process holds at a time, see Lease.
var leaseSteps = []step{
	{
		id: "lease_0001_leases",
		statements: []string{
			// fence grows with each holder; expires_at is by the database's clock.
			`CREATE TABLE leases (
				role varchar(50) PRIMARY KEY,
				fence bigint NOT NULL,
				expires_at {time} NOT NULL
			)`,
		},
	},
}
