package models

// uploadSteps make the record of uploaded files.
var uploadSteps []step
