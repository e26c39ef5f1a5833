package agents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"sohbet/models"
)

// PicturePath is the beginning of the paths of agents' pictures.
const PicturePath = "/agents/pictures/"

// SetPicture stores a JPEG as the picture of an agent; nil removes it.
func (s *Service) SetPicture(ctx context.Context, me models.Agent, data []byte) (models.Agent, error) {
	url := ""
	if data != nil {
		sum := sha256.Sum256(data)
		url = PicturePath + strconv.FormatInt(me.ID, 10) + "-" + hex.EncodeToString(sum[:8]) + ".jpg"
	}
	a, err := s.Store.SetAgentPicture(ctx, me.ID, url, data)
	return a, public(err, "There is no such agent.")
}
