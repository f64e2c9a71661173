// The rooms of a Socket.IO tutorial on socket.io: two in each, join, joined, otherjoin, message.
//   node socketio.js PORT
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const http = createServer();
const io = new Server(http, { allowEIO3: true });

io.on('connection', (socket) => {
  socket.on('join', async (room) => {
    await socket.join(room);
    const size = io.sockets.adapter.rooms.get(room)?.size ?? 0;
    if (size > 2) {
      await socket.leave(room);
      socket.emit('full', room, socket.id);
      return;
    }
    socket.emit('joined', room, socket.id);
    if (size > 1) socket.to(room).emit('otherjoin', room);
  });
  socket.on('message', (room, data) => socket.to(room).emit('message', room, data));
});
http.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'));
