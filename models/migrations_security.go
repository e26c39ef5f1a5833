package models

// securitySteps make blocks and ended sessions.
var securitySteps []step
