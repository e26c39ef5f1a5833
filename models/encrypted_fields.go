package models

import "sohbet/models/encryption"

// seal encrypts a message's text and its preview; a short text and its preview are the same token.
func (m *NewMessage) seal(c *encryption.Cipher) (err error) {
	if m.sealed, err = c.Seal(m.ContentText); err != nil {
		return err
	}
	m.preview = m.sealed
	if short := cut(m.ContentText, LastMessageRunes); len(short) < len(m.ContentText) {
		m.preview, err = c.Seal(short)
	}
	return err
}

// decryptMessages decrypts rows read from the database for the caller.
func (s *Store) decryptMessages(list []Message) []Message {
	for i := range list {
		m := &list[i]
		m.CreatedAt = m.CreatedAt.UTC()
		if m.EditedAt != nil {
			at := m.EditedAt.UTC()
			m.EditedAt = &at
		}
		m.ContentText = s.cipher.Text(m.ContentText, m.ID)
	}
	return list
}

func (s *Store) decryptThread(t *Thread) {
	t.toUTC()
	t.openFields(s.cipher)
	t.LastMessage = s.cipher.Text(t.LastMessage, t.LastMessageID)
}

// sealPage encrypts the URL and title of the visitor's page.
func (t *Thread) sealPage(c *encryption.Cipher) (err error) {
	if t.PageURL, err = c.Seal(t.PageURL); err != nil {
		return err
	}
	t.PageTitle, err = c.Seal(t.PageTitle)
	return err
}

// openFields decrypts the encrypted fields of a thread other than its preview.
func (t *Thread) openFields(c *encryption.Cipher) {
	for column, field := range map[string]*string{
		"email": &t.Email, "rating_comment": &t.RatingComment, "sealed_page_url": &t.PageURL, "sealed_page_title": &t.PageTitle,
	} {
		if *field != "" {
			*field = c.Field(*field, column)
		}
	}
}
