//! A model on this machine: static embeddings, one vector a token, whose mean is the vector of a text. Small enough to
//! be asked on every call. Its format is that of Model2Vec: `model.safetensors` and `tokenizer.json`.

use std::path::Path;

#[cfg(feature = "local-judge")]
pub(super) use with_models::Model;
#[cfg(not(feature = "local-judge"))]
pub(super) use without_models::Model;

#[cfg(feature = "local-judge")]
mod with_models {
    use super::Path;
    use model2vec_rs::model::StaticModel;

    /// Longest file of a model that is read, in bytes.
    const FILE_BYTES_MAX: u64 = 1 << 30;

    pub(in super::super) struct Model(StaticModel);

    impl Model {
        pub(in super::super) fn read(directory: &Path) -> Result<Self, String> {
            let weights = file(directory, "model.safetensors")?;
            let tokenizer = file(directory, "tokenizer.json")?;
            let config = directory.join("config.json");
            let config = if config.exists() { file(directory, "config.json")? } else { b"{}".to_vec() };
            let model = StaticModel::from_bytes(tokenizer, weights, config, Some(true)).map_err(|error| {
                format!("`{}` is no model of static embeddings: {error:#}", directory.display())
            })?;
            Ok(Self(model))
        }

        pub(in super::super) fn vector(&self, text: &str) -> Vec<f64> {
            self.0.encode_single(text).into_iter().map(f64::from).collect()
        }
    }

    impl std::fmt::Debug for Model {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "Model({} numbers)", self.0.dim())
        }
    }

    fn file(directory: &Path, name: &str) -> Result<Vec<u8>, String> {
        let path = directory.join(name);
        let said = |error: std::io::Error| {
            format!(
                "cannot read `{}`: {error}; a model of static embeddings has `model.safetensors` and `tokenizer.json`",
                path.display()
            )
        };
        let bytes = std::fs::metadata(&path).map_err(said)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(format!("`{}` is longer than 1 GiB", path.display()));
        }
        std::fs::read(&path).map_err(said)
    }
}

#[cfg(not(feature = "local-judge"))]
mod without_models {
    use super::Path;

    /// There is none in this build.
    #[derive(Debug)]
    pub(in super::super) enum Model {}

    impl Model {
        pub(in super::super) fn read(_directory: &Path) -> Result<Self, String> {
            Err("this build of AECL has no local models; build it with `--features local-judge`, or name an endpoint".into())
        }

        pub(in super::super) fn vector(&self, _text: &str) -> Vec<f64> {
            match *self {}
        }
    }
}
