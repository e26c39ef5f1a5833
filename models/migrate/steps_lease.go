package migrate

// leaseSteps create the table of roles that one process holds at a time, see models.Lease.
var leaseSteps = []Step{
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
