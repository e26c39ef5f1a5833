// Package keycheck tells whether the configured keys are those that the texts of a database were encrypted with. For each such key the
// database holds a check value encrypted with it, a row of server_keys.
package keycheck

import (
	"fmt"

	"gorm.io/gorm"

	"sohbet/models/encryption"
)

const (
	prefix = "check "        // of the names of check values; the key's name follows
	value  = "sohbet"        // what is encrypted
	lost   = prefix + "lost" // names an empty value: there are texts of a key that was given up
)

// Others selects the rows of server_keys that are not check values.
const Others = "name NOT LIKE '" + prefix + "%'"

// Error says that keys of a database are missing in SECRET_KEY.
type Error struct {
	Database string // its kind and place, without credentials
	Some     bool   // other keys of the database are present
}

func (e *Error) Error() string {
	if e.Some {
		return fmt.Sprintf("SECRET_KEY lacks a key of %s, so a part of its texts cannot be read: append that key after a comma, and run sohbet rekey before it is removed. "+
			"If it is lost, sohbet --force starts without these texts, and sohbet rekey --force gives them up", e.Database)
	}
	return fmt.Sprintf("SECRET_KEY is not the key of %s, so none of its texts can be read: set the key that it was written with (SECRET_KEY, or secret.key in the data folder), "+
		"or the DATABASE_URL of this key. If the key is lost, sohbet --force starts without these texts, and sohbet rekey --force gives them up", e.Database)
}

// Result is what was found in a database.
type Result struct {
	empty    bool // nothing but check values is encrypted
	recorded bool // there are check values
	first    bool // among them that of the first key
	present  int  // check values, or sampled texts, that a key decrypts
	missing  int  // those that no key decrypts
	used     []bool
	lost     bool // there are texts of a key that was given up
}

// Examine reads the check values or, in a database that an older version wrote, a sample of its texts.
func Examine(db *gorm.DB, c *encryption.Cipher) (r Result, err error) {
	r.used = make([]bool, len(c.Names()))
	var rows []struct{ Name, PrivateSeal string }
	if err := db.Table("server_keys").Select("name", "private_seal").Where("NOT (" + Others + ")").Scan(&rows).Error; err != nil {
		return r, err
	}
	for _, row := range rows {
		if key := c.KeyOf(row.PrivateSeal); key >= 0 {
			r.present++
			r.first = r.first || key == 0 && row.Name == prefix+c.Names()[0]
			r.lost = r.lost || row.Name == lost
		} else if encryption.WellFormed(row.PrivateSeal) { // otherwise it is damaged
			r.missing++
		}
	}
	r.recorded = r.present+r.missing > 0
	if r.recorded && r.missing == 0 {
		return r, nil
	}
	sample, err := texts(db)
	r.empty = len(sample) == 0
	if err != nil || r.recorded {
		return r, err
	}
	for _, token := range sample {
		if key := c.KeyOf(token); key >= 0 {
			r.present++
			r.used[key] = true
		} else if encryption.WellFormed(token) {
			r.missing++
		}
	}
	if r.present > 0 { // the others are damaged, or their key was given up before there were check values
		r.missing, r.lost = 0, r.missing > 0
	}
	return r, nil
}

// sampled are the columns of the sample, and sampleRows how many rows are read at either end of their tables.
var sampled = [...][2]string{{"messages", "content_text"}, {"notes", "content_text"}, {"canned_replies", "content_text"}, {"threads", "last_message"}}

const sampleRows = 100

func texts(db *gorm.DB) (all []string, err error) {
	for _, column := range sampled {
		for _, order := range [...]string{"id", "id DESC"} {
			var some []string
			ends := db.Table(column[0]).Select(column[1] + " AS token").Order(order).Limit(sampleRows)
			if err := db.Table("(?) AS ends", ends).Where("token <> ''").Pluck("token", &some).Error; err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
	}
	var keys []string
	err = db.Table("server_keys").Where(Others).Pluck("private_seal", &keys).Error
	return append(all, keys...), err
}

// Problem returns an [*Error] if keys are missing that texts of the database were encrypted with.
func (r Result) Problem(database string) error {
	if r.missing == 0 || r.empty {
		return nil
	}
	return &Error{Database: database, Some: r.present > 0}
}

// Complete reports whether the keys are all those that texts were encrypted with.
func (r Result) Complete() bool { return r.empty || r.missing == 0 && !r.lost }

// Record adds what is missing of the check values of the keys in use: the first, which encrypts, and those that decrypt texts of a
// database without check values. In a database without texts no earlier key matters.
func (r Result) Record(db *gorm.DB, c *encryption.Cipher) error {
	if r.empty && r.missing > 0 {
		return Only(db, c, false)
	}
	if r.lost && !r.recorded {
		if err := record(db, lost, ""); err != nil {
			return err
		}
	}
	for key := range c.Names() {
		if key == 0 && r.first || key > 0 && (r.recorded || !r.used[key]) {
			continue
		}
		if err := recordKey(db, c, key); err != nil {
			return err
		}
	}
	return nil
}

func recordKey(db *gorm.DB, c *encryption.Cipher, key int) error {
	sealed, err := c.SealWith(key, value)
	if err != nil {
		return err
	}
	return record(db, prefix+c.Names()[key], sealed)
}

func record(db *gorm.DB, name, sealed string) error {
	return db.Exec(`INSERT INTO server_keys (name, public_key, private_seal) VALUES (?, '', ?)
		ON CONFLICT (name) DO UPDATE SET private_seal = excluded.private_seal`, name, sealed).Error
}

// Only leaves the check value of the first key as the only one: all texts are encrypted with it, except those of keys that are given up.
func Only(db *gorm.DB, c *encryption.Cipher, givenUp bool) error {
	if err := db.Exec("DELETE FROM server_keys WHERE NOT (" + Others + ")").Error; err != nil {
		return err
	}
	if givenUp {
		if err := record(db, lost, ""); err != nil {
			return err
		}
	}
	return recordKey(db, c, 0)
}
