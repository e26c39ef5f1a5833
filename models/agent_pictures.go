package models

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// picturesTTL is how long pictures are kept in memory after they were read.
const picturesTTL = time.Hour

// agentPicture is the picture of an agent.
type agentPicture struct {
	ID      int64
	AgentID int64
	Data    []byte
}

// SetAgentPicture stores the picture of an agent and its URL; "" removes it.
func (s *Store) SetAgentPicture(ctx context.Context, id int64, url string, data []byte) (Agent, error) {
	return s.changeAgent(ctx, "store the picture of an agent", func(tx *gorm.DB, list []Agent) (Agent, error) {
		a, found := findAgent(list, func(a Agent) bool { return a.ID == id })
		if !found {
			return Agent{}, ErrNotFound
		}
		a.AvatarURL = url
		if url == "" {
			return a, tx.Where("agent_id = ?", id).Delete(&agentPicture{}).Error
		}
		replace := clause.OnConflict{Columns: []clause.Column{{Name: "agent_id"}}, DoUpdates: clause.AssignmentColumns([]string{"data"})}
		return a, tx.Clauses(replace).Create(&agentPicture{AgentID: id, Data: data}).Error
	})
}

// AgentPicture returns the picture that an agent has at a URL, or ErrNotFound. URLs that no agent has reach the database once in
// pollInterval at most.
func (s *Store) AgentPicture(ctx context.Context, url string) ([]byte, error) {
	its := func(a Agent) bool { return url != "" && a.AvatarURL == url }
	a, found := s.agents.find(its)
	if !found && s.pictures.Add("", nil, pollInterval) == nil { // another process may have just stored it
		s.reloadAgents()
		a, found = s.agents.find(its)
	}
	if !found {
		return nil, ErrNotFound
	}
	if data, cached := s.pictures.Get(url); cached {
		return data.([]byte), nil
	}
	var row agentPicture
	err := database.Retry(ctx, func() error {
		row = agentPicture{}
		return s.db.Read.WithContext(ctx).Where("agent_id = ?", a.ID).Take(&row).Error
	})
	if err != nil {
		return nil, s.failed("read the picture of an agent", err)
	}
	s.pictures.SetDefault(url, row.Data)
	return row.Data, nil
}
