package models

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

// Pool limits that leave room on a small plan (often 20 connections) for a second process during a
// deploy.
const (
	postgresConns     = 10
	postgresIdle      = 4
	postgresIdleTime  = 5 * time.Minute
	postgresConnTime  = time.Hour
	postgresDialLimit = 10 * time.Second
)

func openPostgres(address string, config func() *gorm.Config) (*gorm.DB, error) {
	c, err := pgx.ParseConfig(address)
	if err != nil {
		// The library's text repeats the address; say less rather than risk the password.
		return nil, errors.New("models: the postgres:// URL cannot be read")
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = postgresDialLimit
	}
	c.RuntimeParams["timezone"] = "UTC"
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "sohbet"
	}
	pool := stdlib.OpenDB(*c)
	pool.SetMaxOpenConns(postgresConns)
	pool.SetMaxIdleConns(postgresIdle)
	pool.SetConnMaxIdleTime(postgresIdleTime)
	pool.SetConnMaxLifetime(postgresConnTime)
	db, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), config())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("models: open the database: %w", err), pool.Close())
	}
	return db, nil
}
