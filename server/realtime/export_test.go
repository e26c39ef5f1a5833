package realtime

import "github.com/zishang520/socket.io/v2/socket"

// Library returns the Socket.IO library's server, for tests of the adapter. Other code publishes through [Server.Publish].
func (s *Server) Library() *socket.Server { return s.io }
