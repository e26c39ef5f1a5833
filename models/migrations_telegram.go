package models

// telegramSteps make what the Telegram bridge keeps: outbox, received updates, topics.
var telegramSteps []step
