package realtime

import (
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"
)

// adapter replaces the library's rooms, which would use memory for the room that the library creates for every socket. This package has
// rooms of its own.
type adapter struct{ socket.Adapter }

type adapterBuilder struct{}

func (adapterBuilder) New(n socket.Namespace) socket.Adapter {
	a := &adapter{socket.MakeAdapter()}
	a.Prototype(a)
	a.Construct(n)
	return a
}

// AddAll does nothing.
func (*adapter) AddAll(socket.SocketId, *types.Set[socket.Room]) {}

// DelAll does nothing.
func (*adapter) DelAll(socket.SocketId) {}
