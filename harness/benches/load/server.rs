//! The server that is looked at, in a process of its own.

use std::{io, net::Ipv4Addr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::spawn_blocking,
};

use crate::measurement::GOOD;

/// Tells its address on standard output and serves until standard input ends.
pub(crate) async fn serve() -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let listener = socket.listen(4096)?;
    println!("{}", listener.local_addr()?);
    let accepting = tokio::spawn(async move {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream));
            }
        }
    });
    let ended = spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink()));
    ended.await.map_err(io::Error::other)??;
    accepting.abort();
    Ok(())
}

async fn answer(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    if let Ok(1..) = stream.read(&mut buffer).await {
        // The client hears of a failure as well as we do, and closes first.
        if stream.write_all(GOOD).await.is_ok() {
            drop(stream.read(&mut buffer).await);
        }
    }
}
