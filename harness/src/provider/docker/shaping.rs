//! Packets that containers send late, or lose: netem, set by a helper in their network namespace.

use blackstart_lab::filter::netem::Shape;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::{
    DockerError,
    engine::Engine,
    found::Status,
    snapshot::{Known, Of},
};
use crate::drill::duration_words;

/// What becomes of packets that a container sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Packets {
    /// They leave as ever.
    Plain,
    /// They leave late, or not at all.
    Shaped(Shape),
}

/// What is done to packets, in words.
pub(super) fn words(shape: &Shape) -> String {
    let mut words = Vec::new();
    if !shape.delay.is_zero() {
        let mut late = format!("is late by {}", duration_words(shape.delay));
        if !shape.jitter.is_zero() {
            late = format!("{late} ± {}", duration_words(shape.jitter));
        }
        words.push(late);
    }
    if shape.loss_percent > 0 {
        words.push(format!("is lost to {}%", shape.loss_percent));
    }
    words.join(" and ")
}

/// Makes sure that the kernel of the engine's machine can do it, in a namespace of nobody.
pub(super) async fn is_there(engine: &Engine) -> Result<(), DockerError> {
    let told = engine.helper("none", &orders(&["known"])).await?;
    match told.trim() {
        "true" => Ok(()),
        "false" => Err(DockerError::NoNetem(engine.address().to_owned())),
        other => Err(DockerError::Helper(other.to_owned())),
    }
}

/// What is set on each container. Without its namespace one has nothing.
pub(super) async fn read(
    engine: &Engine,
    containers: &[(String, String)],
) -> Result<Of<Packets>, DockerError> {
    let read = containers.iter().map(|(name, id)| async move {
        let is = match engine.status(id).await? {
            None => None,
            Some(Status::Stopped) => Some(Packets::Plain),
            Some(Status::Running | Status::Paused) => {
                let told = engine.in_namespace_of(id, &orders(&["show"])).await?;
                let set: Option<Shape> = serde_json::from_str(told.trim())
                    .map_err(|_| DockerError::Helper(told.trim().to_owned()))?;
                Some(set.map_or(Packets::Plain, Packets::Shaped))
            }
        };
        let known = Known { id: id.clone(), is };
        Ok::<_, DockerError>((name.clone(), known))
    });
    Ok(try_join_all(read).await?.into_iter().collect())
}

/// Sets it, or takes it away.
pub(super) async fn set(engine: &Engine, id: &str, packets: Packets) -> Result<(), DockerError> {
    if matches!(engine.status(id).await?, None | Some(Status::Stopped)) {
        return Ok(());
    }
    let Packets::Shaped(shape) = packets else {
        return engine
            .in_namespace_of(id, &orders(&["remove"]))
            .await
            .map(drop);
    };
    let (delay, jitter) = (shape.delay.as_micros(), shape.jitter.as_micros());
    let flags = [
        format!("--delay={delay}"),
        format!("--jitter={jitter}"),
        format!("--loss={}", shape.loss_percent),
    ];
    let mut command = orders(&["set"]);
    command.extend(flags);
    engine.in_namespace_of(id, &command).await.map(drop)
}

fn orders(words: &[&str]) -> Vec<String> {
    let words = ["netem"].iter().chain(words);
    words.map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn plain_packets_and_a_container_that_is_gone_are_two_things_on_disk_as_well() {
        let all = [
            None,
            Some(Packets::Plain),
            Some(Packets::Shaped(Shape::default())),
        ];
        for is in all {
            let known = Known {
                id: "abc".to_owned(),
                is,
            };
            let text = serde_json::to_string(&known).unwrap();
            assert_eq!(
                serde_json::from_str::<Known<Packets>>(&text).unwrap(),
                known
            );
        }
    }

    #[test]
    fn a_shape_is_told_by_what_it_does() {
        let late = Shape {
            delay: Duration::from_millis(100),
            ..Shape::default()
        };
        assert_eq!(words(&late), "is late by 100ms");
        let all = Shape {
            jitter: Duration::from_millis(20),
            loss_percent: 5,
            ..late
        };
        assert_eq!(words(&all), "is late by 100ms ± 20ms and is lost to 5%");
    }
}
