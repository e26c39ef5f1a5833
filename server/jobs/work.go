package jobs

import (
	"context"
	"encoding/json"

	"sohbet/models"
	"sohbet/models/reencrypt"
)

// Lanes of a server: what an agent waits for does not wait for maintenance.
var Lanes = [][]string{
	{models.JobClear, models.JobDelete, models.JobClearAll},
	{models.JobPrune, models.JobCompact, models.JobRekey},
}

// Erase deletes the rows of what was cleared or deleted.
func Erase(s *models.Store) Work {
	return func(ctx context.Context, j models.Job, report Report) error {
		return s.Erase(ctx, j.Subject, func(messages int64) {
			report(func(j *models.Job) { j.Done += messages })
		})
	}
}

// Compact returns free space of the database to the system. Its state is a [models.Compacted].
func Compact(s *models.Store, whole bool) Work {
	return func(ctx context.Context, _ models.Job, report Report) error {
		sizes, err := s.Compact(ctx, whole, func(done, total int64) {
			report(func(j *models.Job) { j.Done, j.Total = done, total })
		})
		report(func(j *models.Job) { j.State = encode(sizes) })
		return err
	}
}

// Rekey re-encrypts texts with the first key. Its state is a [reencrypt.State].
func Rekey(s *models.Store) Work {
	return func(ctx context.Context, j models.Job, report Report) error {
		state, _ := Decode[reencrypt.State](j)
		result, err := s.Rekey(ctx, state, func(state reencrypt.State) {
			report(func(j *models.Job) { j.State, j.Done = encode(state), state.Checked })
		})
		if err == nil {
			report(func(j *models.Job) { j.State, j.Done = encode(reencrypt.State{Result: result}), result.Checked })
		}
		return err
	}
}

func encode(state any) string {
	text, err := json.Marshal(state)
	if err != nil {
		panic(err) // only numbers and names
	}
	return string(text)
}

// Decode returns the state of a job, the zero value if it has none.
func Decode[State any](j models.Job) (s State, err error) {
	if j.State != "" {
		err = json.Unmarshal([]byte(j.State), &s)
	}
	return s, err
}
