package realtime

import "github.com/zishang520/socket.io/v2/socket"

// Library is the Socket.IO library's server, for tests of the adapter: nothing else of ours goes past [Server.Publish].
func (s *Server) Library() *socket.Server { return s.io }
