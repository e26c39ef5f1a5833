package models

// leaseSteps make the roles that one process has at a time, see Lease.
var leaseSteps = []step{
	{
		id: "lease_0001_leases",
		statements: []string{
			// fence grows with each holder; expires_at is in the clock of the database.
			`CREATE TABLE leases (
				role varchar(50) PRIMARY KEY,
				fence bigint NOT NULL,
				expires_at {time} NOT NULL
			)`,
		},
	},
}
